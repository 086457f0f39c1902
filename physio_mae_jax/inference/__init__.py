"""Trained models in use: weights from elsewhere."""
