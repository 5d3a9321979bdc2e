"""Decisions without waiting: every function here takes the time and the dice as arguments."""
