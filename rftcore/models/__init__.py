"""Models: loaded, shown prompts and images, and checked before they train."""
