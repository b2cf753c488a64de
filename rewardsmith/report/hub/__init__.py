"""Reward programs on the Hugging Face Hub: what is pushed of a run, and how a pushed program is fetched.

package   the folder that is pushed: card, program, wrapper, policy, film
card      the card, which the Hub shows as the repository's page
remote    calls of the Hub, through its official client
"""
