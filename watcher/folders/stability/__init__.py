"""Whether a file is whole: the decision, and the facts that it rests on."""
