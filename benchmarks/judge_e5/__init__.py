"""The judge on multilingual-e5-small: English and Chinese. Not in the product; README.md is its card."""
