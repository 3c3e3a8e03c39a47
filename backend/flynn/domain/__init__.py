"""The nouns of the service: events, runs, results, errors. Pydantic and the standard library only.

This room does no input or output and knows no other room.
"""
