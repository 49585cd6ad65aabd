// Lets the compiler know what the bundler resolves, such as style sheets.
/// <reference types="vite/client" />
