// The filter by owner: an id that is typed or pasted, so the list waits until it is there.

import { useId } from "preact/hooks";
import { route, setParams } from "../state/router.ts";

export function Owner() {
  const id = useId();
  return (
    <div class="filter">
      <label for={id}>Owner</label>
      <input
        id={id}
        value={route.value.params["owner"] ?? ""}
        placeholder="ID"
        autocomplete="off"
        spellcheck={false}
        onChange={(event) => setParams({ owner: event.currentTarget.value.trim() })}
      />
    </div>
  );
}
