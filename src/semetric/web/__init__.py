"""The annotation server: studies in the browser, their progress, and two uploaded images explained."""
