"""`creel explain` and creel-errors(7): every code has a page, and both are printed from one table."""

import re


def test_a_page(creel):
    result = creel.run("explain", "CRL-5006", root=False)
    assert (result.code, result.err) == (0, ""), str(result)
    assert result.out.startswith("CRL-5006: ")
    for word in ("carriage return", "Likely causes:", "What to do:", "Example:"):
        assert word in result.out, result.out
    assert max(map(len, result.out.split("Example:")[0].splitlines())) <= 80


def test_forms_of_a_code(creel):
    pages = {creel.ok("explain", form, root=False).out for form in ("2002", "CRL-2002", "crl-2002")}
    assert len(pages) == 1


def test_all_codes(creel):
    text = creel.ok("explain", root=False).out
    listed = re.findall(r"^  CRL-(\d{4})  \S", text, re.M)
    pages = creel.run("explain", "--format", "json", root=False).json()
    assert listed == sorted(set(listed)) and len(listed) >= 60
    assert [page["code"] for page in pages] == ["CRL-" + code for code in listed]
    assert creel.run("explain", "-f", "json", "2002", root=False).json() in pages
    for page in pages:
        assert set(page) == {"code", "title", "meaning", "causes", "actions", "example"}
        assert all(page.values()), page
        assert page["example"].endswith(f'[{page["code"]}]')


def test_no_such_code(creel):
    for code in ("9999", "CRL-", "hello", ""):
        result = creel.fails("there is no error code", "explain", code, root=False)
        assert "creel explain" in result.error["hint"]


def test_needs_no_privilege_and_no_state(creel):
    """It is what one runs when nothing else works."""
    result = creel.run("--root", "/nonexistent/x", "explain", "1000", root=False,
                       env={"PATH": "", "HOME": "/nonexistent"})
    assert result.code == 0, str(result)


def test_the_final_error_names_a_code_that_has_a_page(creel):
    result = creel.fails("unknown command", "strat")
    code = result.error["code"]
    assert f"[{code}]" in result.err.splitlines()[0] and f"[{code}]" in result.error["msg"]
    assert creel.ok("explain", code, root=False).out.startswith(f"{code}: ")
