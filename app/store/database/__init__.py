"""Engines, transactions, column types and schema versions."""
