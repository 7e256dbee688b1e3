// Keys that are pressed before the form's script is there wait for it: none of them means something else meanwhile.
{
  const keys = [];
  const off = () => {
    try {
      return localStorage.getItem("keys") === "off";
    } catch {
      return false;
    }
  };
  const wait = (event) => {
    const { key, target, ctrlKey, metaKey, altKey } = event;
    if (metaKey || altKey || (ctrlKey && key !== "Enter") || off()) return;
    if (target.closest?.("input, textarea, select") || (key.length > 1 && key !== "Enter")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    // What is not shown yet is not submitted.
    if (!ctrlKey) keys.push(key);
  };
  const stop = () => removeEventListener("keydown", wait, true);
  addEventListener("keydown", wait, true);
  addEventListener("load", () => {
    stop();
    document.getElementById("groups")?.classList.add("numbered");
  });
  addEventListener("head-atlas:annotating", ({ detail }) => {
    stop();
    detail(keys.splice(0));
  });
}
