"""Scenes as functions that say how dense space is and what colour it has."""
