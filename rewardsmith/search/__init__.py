"""The search engine: one loop of design, critique, training, evaluation, analysis and evolution."""
