CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE IF NOT EXISTS agents (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9-]{1,39}$'),
    role text NOT NULL,
    prompt text NOT NULL,
    model text NOT NULL,
    tools text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
