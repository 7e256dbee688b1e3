// Before the first paint: the theme that was chosen on this browser, else the system's.
try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be switched off; the system's theme holds then.
}
document.documentElement.classList.add("scripted");
