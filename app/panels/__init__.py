"""The docks around the stage that are not forms or plots: catalogue, data, objective, log."""
