"""The only SQL. Every function takes a transaction first; siblings never import each other, save db and tables."""
