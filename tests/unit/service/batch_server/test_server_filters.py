from service.batch_server.recognition.messages import Word
from service.batch_server.transcript import filters, items


def spoken(text):
    return list(items.split([Word(float(n), n + 0.5, f" {word}", 0.9) for n, word in enumerate(text.split())]))


def said(found):
    return " ".join(item.content for item in found)


def test_only_permitted_marks_stay():
    found = spoken("Well, yes. Really?")
    assert said(filters.with_permitted_marks(found, ["."])) == "Well yes . Really"
    assert said(filters.with_permitted_marks(found, [])) == "Well yes Really"
    assert said(filters.with_permitted_marks(found, ["all"])) == said(found)
    assert said(filters.with_permitted_marks(found, None)) == said(found)


def test_hesitations_are_tagged():
    found = filters.with_disfluencies(spoken("Um, I see."), "en", remove=False)
    assert [item.tags for item in found] == [("disfluency",), (), (), (), ()]


def test_hesitations_are_removed_with_their_comma():
    assert said(filters.with_disfluencies(spoken("Um, I, uh, see."), "en", remove=True)) == "I , see ."
    assert said(filters.with_disfluencies(spoken("I see. Hmm. Yes."), "en", remove=True)) == "I see . Yes ."
    assert said(filters.with_disfluencies(spoken("I see, um."), "en", remove=True)) == "I see , ."


def test_other_languages_keep_theirs():
    assert said(filters.with_disfluencies(spoken("Um die Ecke."), "de", remove=True)) == "Um die Ecke ."


def test_words_and_phrases_are_replaced_in_any_case():
    found = filters.with_replacements(spoken("New York, new york city."), [("new york", "NYC"), ("city", "")])
    assert said(found) == "NYC , NYC ."
    assert (found[0].start, found[0].end) == (0.0, 1.5)


def test_a_phrase_does_not_reach_over_a_mark():
    assert said(filters.with_replacements(spoken("new, york"), [("new york", "NYC")])) == "new , york"
