"""A small shop: users sell products, users order them, receipts go out, stock is watched live."""
