"""Structured logs. Everybody may import this room; it imports the domain only."""
