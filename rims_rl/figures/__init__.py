"""The paper's figures and tables of the supervised tasks, each by one command."""
