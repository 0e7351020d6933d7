"""Scores against labels: metrics, intervals, comparisons."""
