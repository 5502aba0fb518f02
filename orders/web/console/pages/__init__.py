"""The pages' addresses: what is asked for, which operation answers, and which template shows it."""
