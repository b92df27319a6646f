"""One row of a file: from its fields to one record, or to all its faults."""
