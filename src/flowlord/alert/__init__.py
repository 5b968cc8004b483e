"""Alerts: what is told to people, when, and the ways to tell it."""
