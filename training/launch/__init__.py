"""Trainings in processes of their own: started, watched, and ended by whoever finds their handle in a run directory."""
