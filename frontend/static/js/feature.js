// A feature's page: the menu of heads, and examples that open in place. Each is a link or a form without this.
const menu = document.querySelector("details.other-heads");

document.addEventListener("click", (event) => {
  if (menu?.open && !menu.contains(event.target)) menu.open = false;
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu?.open) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

// Citing: the form sends itself, the sentence beside it says what came of it, and every mark is renewed.
const cites = document.getElementById("cite");
const cited = document.getElementById("cited");

function say(text, bad = false, undo = null) {
  cited.textContent = text;
  cited.classList.toggle("bad", bad);
  if (undo)
    cited.append(
      " ",
      Object.assign(document.createElement("button"), {
        className: "link",
        name: "what",
        value: undo,
        textContent: "undo",
      }),
    );
  cited.querySelector("button")?.setAttribute("form", "cite");
}

function mark(numbers) {
  // The sentences are the server's, with a place for the number of the evidence.
  const { cite, drop, citeFeature, dropFeature } = cites.dataset;
  const words = (open, done, number) => (number ? done.replace("{n}", number) : open);
  for (const button of document.querySelectorAll('[form="cite"].cite-example, #cite button')) {
    const number = numbers[button.value.slice(5)];
    button.value = `${number ? "drop" : "cite"}:${button.value.slice(5)}`;
    if (button.matches(".cite-example")) {
      button.textContent = number ?? "+";
      button.classList.toggle("on", Boolean(number));
      button.setAttribute("aria-label", words(cite, drop, number));
    } else button.firstChild.data = `${words(citeFeature, dropFeature, number)} `;
  }
}

cites?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = new URLSearchParams(new FormData(cites, event.submitter));
  const headers = { Accept: "application/json", "HX-Request": "true" };
  say("saving");
  const reply = await fetch(cites.getAttribute("action"), { method: "POST", body, headers }).catch(() => null);
  if (reply?.status === 401) return location.assign(reply.headers.get("HX-Redirect") || "/login");
  const found = await reply?.json().catch(() => null);
  say(found?.message ?? "Not saved: the server does not answer.", !reply?.ok, found?.undo);
  if (reply?.ok) mark(found.cited);
});

// c cites the example that has the focus, or the feature; what is cited stays so.
document.addEventListener("head-atlas:key", (event) => {
  if (event.detail !== "c") return;
  event.preventDefault();
  if (!cites) return cited?.classList.add("bad");
  const button =
    document.activeElement.closest(".examples > li")?.querySelector(".cite-example") ?? cites.querySelector("button");
  if (button.value.startsWith("cite")) button.click();
  else say(`Already cited in your record of ${cites.elements.head.value}.`);
});
