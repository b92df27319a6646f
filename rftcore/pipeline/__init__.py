"""From names and settings to a checked plan, and the phases of a run."""
