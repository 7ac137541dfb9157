"""The store of trained runs, what trains missing ones, statistics, tables and curves."""
