"""Breaks rules of the code one at a time and sees whether a test fails: ``make mutation``."""
