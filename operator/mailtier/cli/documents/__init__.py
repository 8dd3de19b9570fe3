"""YAML as kubectl reads it: what plain scalars say, and objects written so that they are read as what they are."""
