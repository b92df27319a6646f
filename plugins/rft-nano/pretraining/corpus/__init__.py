"""The images `nano` learns from: scenes, pairs of scenes and diagrams, with what they show.

Everything comes from seeds that no task uses, is drawn once and packed for
training (`store`), and is varied without end while it is shown (`streams`).
"""
