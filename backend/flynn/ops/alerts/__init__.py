"""Alerts: rules as data, evaluated by each process about itself, told to operators.

`rules` says what is looked for; deploy/monitoring/alerts.yml is made of it for Prometheus, and `watch`
evaluates the same in the process. `exchange` shares what fires between the processes of a service, so that
it is told once, and `messenger` tells it.
"""
