"""Scores of a model, measured against labels: metrics, intervals, comparisons."""
