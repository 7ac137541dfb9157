"""The supervised tasks of the RIMs paper: data, models, training and the command.

``python -m rims_rl.tasks`` trains and tests a model; `rims_rl.tasks.results.load_trained_task`
loads it.
"""
