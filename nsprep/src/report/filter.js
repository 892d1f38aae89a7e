"use strict";
// Hides the rows that were not asked for. #q=TEXT&state=STATE asks for them in a link.
(() => {
  const form = document.getElementById("filter");
  const rows = [...document.querySelectorAll("[data-row]")];
  const apply = () => {
    const text = form.q.value.trim().toLowerCase();
    const state = form.state.value;
    let shown = 0;
    for (const row of rows) {
      const fits = (!state || row.dataset.state === state) && row.textContent.toLowerCase().includes(text);
      row.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    form.querySelector("output").value = text || state ? `${shown} of ${rows.length} rows` : "";
  };
  const read = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    if (!asked.has("q") && !asked.has("state")) return;
    form.q.value = asked.get("q") ?? "";
    form.state.value = asked.get("state") ?? "";
    apply();
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", read);
  form.hidden = rows.length === 0;
  read();
})();
