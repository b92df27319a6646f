"""`rft plugins doctor`: what is wrong with the installed plugins, and what to do."""
