#!/usr/bin/env bash
# Builds and starts everything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

docker compose up -d --build
echo "Backend: http://localhost:8000, API documentation: http://localhost:8000/docs"
