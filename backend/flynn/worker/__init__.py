"""Claims runs, keeps leases, drives the loop, appends and then publishes."""
