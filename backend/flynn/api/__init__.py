"""Doors only: REST, Socket.IO, authentication, problem+json. Every decision is intake's."""
