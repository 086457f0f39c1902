"""How fast and how large: operations counted, steps timed, memory planned."""
