"""Boards: tables computed from records alone, without torch and without images."""
