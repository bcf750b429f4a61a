"""Verbs: one public function = one thing somebody may do = one transaction. Siblings import only `_shared` modules."""
