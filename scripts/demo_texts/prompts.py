"""What the model is asked for: prompts by kind of text, drawn from lists by a seed."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scripts.demo_texts.words import (
    DISHES,
    EVENTS,
    EXTRAS,
    FUNCTIONS,
    MONTHS,
    NEWS_OPENINGS,
    OPENINGS,
    PEOPLE,
    PLACES,
    QUARRELS,
    REASONS,
    RECORDS,
    RELATIONS,
    SUBJECTS,
    TASKS,
    TOPICS,
)


@dataclass(frozen=True)
class Prompt:
    """What one text is asked for with, the words that it is made to begin with, and its name."""

    kind: str
    title: str
    request: str
    opening: str


def prompts_of(kind: str, n_prompts: int, seed: int) -> list[Prompt]:
    """Different prompts of one kind: the same ones for the same seed. Raises ValueError where there are too few."""
    draw, rng = KINDS[kind], random.Random(f"{kind} {seed}")  # noqa: S311 - a choice of words, no secret
    prompts: dict[str, Prompt] = {}
    for _ in range(20 * n_prompts):
        if len(prompts) == n_prompts:
            return list(prompts.values())
        prompt = draw(rng)
        prompts.setdefault(prompt.request, prompt)
    raise ValueError(f"there are fewer than {n_prompts} prompts of the kind {kind}")


def _story(rng: random.Random) -> Prompt:
    person, place, month = rng.choice(PEOPLE), rng.choice(PLACES), rng.choice(MONTHS)
    subject, first = rng.choice(SUBJECTS), person.split()[0]
    request = (
        f"Write a very short story about {subject}. It happens in {place} in {month}, and the main character "
        f"is {first}. Use concrete details and a little speech. Do not explain the moral."
    )
    opening = rng.choice(OPENINGS).format(first=first, place=place, month=month)
    return Prompt("story", subject, request, opening)


def _news(rng: random.Random) -> Prompt:
    person, place, event = rng.choice(PEOPLE), rng.choice(PLACES), rng.choice(EVENTS)
    day, month = rng.randint(1, 28), rng.choice(MONTHS)
    start = rng.choice(NEWS_OPENINGS).format(place=place)
    request = (
        f"Write a short newspaper report from {place} about {event}. Say what happened, when and where, "
        f"give numbers, and quote a resident called {person}. Write plain paragraphs without a headline."
    )
    return Prompt("news", f"{place}, {event}", request, f"{place.upper()}, {month} {day} - {start}")


def _dialogue(rng: random.Random) -> Prompt:
    (one, two), topic = rng.sample(PEOPLE, 2), rng.choice(QUARRELS)
    first, second, who = one.split()[0], two.split()[0], rng.choice(RELATIONS)
    request = (
        f"Write a conversation between {who}, {first} and {second}, about {topic}. Each line begins with the "
        f"speaker's name and a colon. They disagree at first. Ten short lines."
    )
    greeting = rng.choice(
        ("Have you", "I thought", "Did you", "You said", "Why is", "Listen,", "Good morning", "So,")
    )
    return Prompt("dialogue", topic, request, f"{first}: {greeting}")


def _letter(rng: random.Random) -> Prompt:
    (writer, reader), place, reason = rng.sample(PEOPLE, 2), rng.choice(PLACES), rng.choice(REASONS)
    day, month = rng.randint(1, 28), rng.choice(MONTHS)
    name = (
        reader.split()[0] if rng.random() < 0.5 else f"{rng.choice(('Mr', 'Mrs', 'Dr'))} {reader.split()[1]}"
    )
    request = (
        f"Write a short letter from {writer} in {place} to {name}, {reason}. Give details such as dates, "
        f"names and prices. Sign it with the name {writer}."
    )
    return Prompt("letter", reason, request, f"{place}, {day} {month}\n\nDear {name},\n\n")


def _instructions(rng: random.Random) -> Prompt:
    n_people, n_minutes = rng.choice((2, 4, 6)), rng.choice((10, 20, 30, 45, 60))
    if rng.random() < 0.5:
        dish = rng.choice(DISHES)
        request = (
            f"Write a recipe for {dish} for {n_people} people that takes {n_minutes} minutes: a list of ingredients "
            f"with amounts, then numbered steps."
        )
        return Prompt("instructions", dish, request, f"{dish.capitalize()} for {n_people}\n\nIngredients:\n-")
    task, n_steps = rng.choice(TASKS), rng.choice((5, 6, 7))
    request = (
        f"Write instructions on how to {task} in {n_steps} numbered steps, for somebody with {n_minutes} minutes. "
        f"One or two short sentences for each step."
    )
    return Prompt("instructions", task, request, f"How to {task}\n\n1.")


def _code(rng: random.Random) -> Prompt:
    name, parameters, does = rng.choice(FUNCTIONS)
    request = (
        f"Write a Python function {name}({parameters}) that {does}, with a docstring, {rng.choice(EXTRAS)}. "
        f"Answer with code only."
    )
    return Prompt("code", name, request, f"```python\ndef {name}({parameters}")


def _record(rng: random.Random) -> Prompt:
    title, what, opening = rng.choice(RECORDS)
    words = {
        "person": rng.choice(PEOPLE), "place": rng.choice(PLACES), "month": rng.choice(MONTHS),
        "day": rng.randint(1, 28), "hour": rng.randint(7, 11), "number": rng.randint(1000, 9999),
    }  # fmt: skip
    request = (
        f"Write {what.format_map(words)}. One field on each line, no explanations, with made-up details that differ "
        f"from entry to entry. It is kept by {rng.choice(PEOPLE)}."
    )
    return Prompt("record", title, request, opening.format_map(words))


def _question(rng: random.Random) -> Prompt:
    topic, who = (
        rng.choice(TOPICS),
        rng.choice(("a curious child", "a student", "a visitor", "a beginner", "a reader")),
    )
    n_questions = rng.choice((3, 4))
    request = (
        f"Write {n_questions} questions of {who} about {topic}, each with a correct answer of two sentences. "
        f"Begin each question with 'Q:' and each answer with 'A:'."
    )
    start = rng.choice(("What", "Why", "How", "When", "Who", "Where", "Can", "Is", "Does", "Which"))
    return Prompt("question", topic, request, f"Q: {start}")


KINDS: Mapping[str, Callable[[random.Random], Prompt]] = {
    "dialogue": _dialogue,
    "letter": _letter,
    "instructions": _instructions,
    "code": _code,
    "record": _record,
    "question": _question,
    "news": _news,
    "story": _story,
}
