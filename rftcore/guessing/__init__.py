"""Guesses from the text of a question, without its images, and how often they are right."""
