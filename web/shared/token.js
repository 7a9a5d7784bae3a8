// What a page reads in its own token; whether it holds is the service's to say.

/**
 * Whose it is, as it says; null where it does not. As the service reads it: the claim of exactly this name, else the dots in
 * it lead from an object to one within it.
 * @param {string} token @param {string} claim @returns {string | null}
 */
export function subject(token, claim) {
  try {
    const bytes = Uint8Array.from(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')), (byte) => byte.charCodeAt(0));
    return within(JSON.parse(new TextDecoder().decode(bytes)), claim);
  } catch {
    return null;
  }
}

/** @param {any} claims @param {string} name @returns {string | null} */
function within(claims, name) {
  if (Object.hasOwn(claims, name)) return claims[name] === null ? null : String(claims[name]);
  const dot = name.indexOf('.');
  return dot < 0 ? null : within(claims[name.slice(0, dot)], name.slice(dot + 1));
}
