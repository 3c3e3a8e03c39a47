"""The loop: folds events to API messages, streams the model, runs tools, yields events.

Knows neither database nor socket: it is handed a model, tools and a log, and yields what to commit.
"""
