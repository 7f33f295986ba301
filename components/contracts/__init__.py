"""What every other room agrees on: records, tables, messages, commands, parameters, errors."""
