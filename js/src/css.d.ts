// Style sheets are bundled as text, made short.
declare module "*.css" {
  const text: string;
  export default text;
}
