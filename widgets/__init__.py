"""Reusable Qt widgets. They know payloads and controls, never a study, and nothing of who answers."""
