"""A server that speaks the Messages API and plays scripted models.

The only double of the project: strict where the real API is strict, and never imported by the service.
"""
